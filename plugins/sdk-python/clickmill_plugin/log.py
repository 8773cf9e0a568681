"""Lines for the operator's log, and what is counted there."""

from . import host
from .values import well_formed


def debug(message: str) -> None:
    """For the plugin's author."""
    host.log.write(host.log.Level.DEBUG, well_formed(message))


def info(message: str) -> None:
    """Worth knowing."""
    host.log.write(host.log.Level.INFO, well_formed(message))


def warn(message: str) -> None:
    """Something is odd, the plugin goes on."""
    host.log.write(host.log.Level.WARN, well_formed(message))


def error(message: str) -> None:
    """Something failed."""
    host.log.write(host.log.Level.ERROR, well_formed(message))


def unreadable(column: str, values: int = 1) -> None:
    """Says that so many values of a column that this plugin writes, by its path, could not be read and are None
    instead. The host counts them by stage and column."""
    host.log.unreadable(well_formed(column), values)
