/** The PCI function that a machine of the lab has for VFIO, and its one interrupt. */
import { vfioPciIrqs } from '../../abi/vfio.ts';
import { laneHere } from '../../host/lane.ts';
import { hasVfioPci, type PciFunction, pciFunctions } from './bind.ts';
import type { VfioDevice } from './device.ts';

/** Registers in BAR 0 of the lab's network adapters, which have no network behind them. Source: 82574L datasheet 10.2.4. */
const ICR = 0xc0;
const ICS = 0xc8;
const IMS = 0xd0;
const IMC = 0xd8;
const TRANSMIT_DONE = 1;

/**
 * The PCI function that this machine of the lab has for VFIO; `null` outside the lab, where such a function may be
 * somebody's network, and on a kernel without vfio-pci.
 */
export function labFunction(): PciFunction | null {
  const own = laneHere?.vfioFunction;
  if (!own || !hasVfioPci()) return null;
  return pciFunctions().find(({ vendor, device }) => vendor === own.vendor && device === own.device) ?? null;
}

/** Makes the lab's function assert its INTx, as if it had sent something. It stays asserted until `lowerIntx`. */
export function raiseIntx(device: VfioDevice): void {
  device.write(0, IMS, 4, TRANSMIT_DONE);
  device.write(0, ICS, 4, TRANSMIT_DONE);
}

/** The function asserts nothing, whatever its last user left: not every one of them can be reset. */
export function quietIntx(device: VfioDevice): void {
  device.write(0, IMC, 4, 0xffff_ffff);
  device.read(0, ICR, 4);
}

/** What the function's driver would do: reading the cause clears it. */
export function lowerIntx(device: VfioDevice): void {
  device.read(0, ICR, 4);
}

/** VFIO's index of INTx. */
export const INTX = vfioPciIrqs.VFIO_PCI_INTX_IRQ_INDEX;
