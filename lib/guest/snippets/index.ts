/** Every snippet. */
export { delay, idle, increment, repeat, waitUntil } from './flow.ts';
export { type IpiFields, type IpiTo, icr, icr2, initSipiSipi, ipi, ipiAndWait, nmi, selfIpi, waitSent } from './ipi.ts';
export {
  type ApicAccess,
  enableApic,
  enterX2apic,
  eoi,
  leaveX2apic,
  logicalCluster,
  logicalFlat,
  readApic,
  relocateApic,
  writeApic,
} from './lapic.ts';
export {
  disableSynic,
  enableSynic,
  endOfMessage,
  freeMessage,
  messageSlot,
  readMsr,
  type SynicPlaces,
  type SynicRegister,
  setSint,
  takeEventFlag,
  writeMsr,
  writeSynic,
} from './synic.ts';
export { assertThat, type Condition, done, step, sync, tell } from './words.ts';
