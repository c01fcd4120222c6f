/** Whether this process hears of node:test's events: `kvm-dsm run` starts one so for a file of tests. */

const READY = 'KVM_DSM_TEST_EVENTS';

export const hearsTests = process.env[READY] !== undefined;

/** For such a process, beside the flags that it needs. */
export const testEnvironment = { [READY]: '1' };
