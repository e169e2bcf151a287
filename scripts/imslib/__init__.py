# SPDX-License-Identifier: GPL-2.0
"""What `make` does behind its targets. See scripts/ims for the list."""
