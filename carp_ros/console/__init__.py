"""What a person sees of long work in a terminal."""
