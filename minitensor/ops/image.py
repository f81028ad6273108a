"""Images: channels into pixels and back."""
