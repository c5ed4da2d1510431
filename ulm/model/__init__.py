"""The AWD-LSTM: sizes, layers, and encoders as files."""
