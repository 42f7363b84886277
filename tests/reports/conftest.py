from desk import desk, make_csv, poppler

__all__ = ["desk", "make_csv", "poppler"]
