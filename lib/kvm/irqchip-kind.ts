/** Which interrupt controllers the kernel has for a VM. */
export type IrqchipKind = 'none' | 'full' | 'split';
