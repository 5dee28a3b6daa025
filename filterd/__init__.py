"""filterd: content-policy enforcement for mail. The house is described in filterd/README.md."""

__version__ = "0.1.0"
