"""The incident report: one file of a run or an incident, charts included, to attach to a ticket."""
