"""Safe reading of files from other programs, and atomic writing of files and folders."""
