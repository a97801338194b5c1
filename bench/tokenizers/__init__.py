"""Action tokenizers compared on the same chunks: FASTerVQ, FAST, CARP's multi-scale VQ, bins."""
