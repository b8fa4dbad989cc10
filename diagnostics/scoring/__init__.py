"""How well detectors tell broken runs from healthy ones: labelled runs in, a table out. Pure."""
