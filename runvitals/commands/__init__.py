"""The commands of `runvitals`, grouped by what they are for; `runvitals.cli` puts them together."""
