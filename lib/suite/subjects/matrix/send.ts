/** Whom an IPI names: each by its place among the bed's vCPUs. */
export interface Send {
  /** ICR without the vector. */
  icr: number;
  /** Bits 31:24 of ICR2. */
  destination: number;
  addressees: readonly number[];
  /** What it leaves at each that takes it. */
  leaves: 'irr' | 'irr-level' | 'nmi' | 'smi' | 'nothing';
}
