/** Where to go on, which depends on where the doctor is. */
import { laneHere } from '../host/lane.ts';

/** A machine of the lab has no lab of its own. */
export const OR_LAB = laneHere ? '' : 'Or use the lab: --on vmx.';

/** @param needs what the kernel has to be built with */
export function kernelAdvice(needs: string): string {
  return laneHere
    ? `Give the lab a kernel with the series and ${needs} by --kernel, or leave --kernel out: its own has both.`
    : `Boot a kernel with the series and ${needs}. ${OR_LAB}`;
}
