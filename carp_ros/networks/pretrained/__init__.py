"""Published vision-language models as backbones, through `transformers`, which only this needs."""
