"""Signals, rules and the alert life cycle. Pure: no I/O, no clock, no environment."""
