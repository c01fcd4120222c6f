import { random } from 'kvm-dsm';

// Its choices, and whether modules are evaluated afresh: a failure in one of four runs.
console.error(`choice ${random.integer(0, 0xffff_ffff)}`);
if (random.pick([0, 1, 2, 3]) === 0) throw new Error('the bad choice');
