/** Errnos that mean: the VM has no such interrupt controller in the kernel. */
import { IoctlError } from '../base/errors.ts';
import { NoIrqchipError } from './errors.ts';

/**
 * What `ask` gives, which needs an interrupt controller in the kernel.
 *
 * @param isMissing whether the errno means that there is none
 * @throws NoIrqchipError then; else what `ask` throws
 */
export function needIrqchip<T>(ask: () => T, isMissing: (error: IoctlError) => boolean): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof IoctlError && isMissing(error)) throw new NoIrqchipError(error.ioctl, error.errno);
    throw error;
  }
}

/** Of most of these requests: the kernel says ENXIO. */
export const isEnxio = ({ errnoName }: IoctlError): boolean => errnoName === 'ENXIO';
