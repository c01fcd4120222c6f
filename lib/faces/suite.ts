/** `kvm-dsm/suite`: what a module of checks is written with. */

export { type Check as SuiteCheck, type Shortfall, type Subject, subject, table } from '../suite/check.ts';
export type { CheckContext } from '../suite/kit/context.ts';
export { Driver } from '../suite/kit/drive.ts';
export { DONE_PORT } from '../suite/kit/guests.ts';
export type { Need } from '../suite/kit/needs.ts';
export * as needs from '../suite/kit/needs.ts';
export type { Facts } from '../suite/run/facts.ts';
