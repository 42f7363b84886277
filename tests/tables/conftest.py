from tabling import folder, make_folder

__all__ = ["folder", "make_folder"]
