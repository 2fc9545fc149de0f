"""What leaves the machine (:mod:`fbkit.schema.mask`), by the name documents know it."""

from fbkit.schema.mask import MASKED, export_frame

__all__ = ["MASKED", "export_frame"]
