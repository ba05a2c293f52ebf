"""Boot media: ISO images and the files of an installer."""
