"""PyTorch definitions of the policies. They read no files, no topics and no clock."""
