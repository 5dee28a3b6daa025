"""Training, evaluation and calibration of the text models. The serving path never imports this room."""
