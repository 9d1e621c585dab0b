"""Language models as judges: rubrics with anchors, strict answers, every draw stored. A judge suggests, people decide."""
