"""Rules that a user writes in TOML: other numbers for our rules, rules switched off, rules of one's own. Text in, rules and faults out."""
