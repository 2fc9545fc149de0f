"""Files and folders that appear whole or not at all (:mod:`fbkit.schema.files`), by the name documents know them."""

from fbkit.schema.files import MANIFEST, replace_folder, sha256, write_file, write_folder

__all__ = ["MANIFEST", "replace_folder", "sha256", "write_file", "write_folder"]
