# SPDX-License-Identifier: GPL-2.0-or-later
#
# The devices that the tests of device MSI storage need, and no others; for
# use with --without-default-devices --with-devices-aarch64=ims.

# The machine, which brings its GIC, ITS and SMMU
CONFIG_ARM_VIRT=y
CONFIG_ARM_GICV3_TCG=y

# The device under test
CONFIG_IMS_TESTDEV=y
CONFIG_IMS_NTB=y
CONFIG_IMS_PLATFORM=y
CONFIG_EDU=y

# The second serial line
CONFIG_SERIAL_PCI=y

# Bridges: native PCIe ports, and a conventional bus behind one, whose devices
# share a requester id
CONFIG_PCIE_PORT=y
CONFIG_I82801B11=y

# Ordinary users of MSI and MSI-X, one or more for each way to set them up
CONFIG_NVME_PCI=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
CONFIG_E1000E_PCI_EXPRESS=y
CONFIG_AHCI_ICH9=y
CONFIG_USB_XHCI_PCI=y
CONFIG_USB_STORAGE_CLASSIC=y

# The target does not link without these
CONFIG_ARM_V7M=y
CONFIG_SEMIHOSTING=y
CONFIG_ARM_COMPATIBLE_SEMIHOSTING=y
