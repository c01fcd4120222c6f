import { IoctlError } from '../../base/errors.ts';

/** VFIO signals the IRQ (an eventfd is set for it), and only while it does not can its forwarding change: EBUSY. */
export class IrqSignaledError extends IoctlError {
  override readonly code = 'ERR_IRQ_SIGNALED';

  /** @internal */
  constructor(ioctl: string, errno: number, irq: string) {
    super(ioctl, errno, {
      what: `VFIO signals ${irq}`,
      advice: 'Call disableIrqs() of the VFIO device first; signal it again after forwardIrq() or unforwardIrq().',
    });
  }
}
