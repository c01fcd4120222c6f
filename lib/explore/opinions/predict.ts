/** The model's opinion: what the guest would tell on a machine whose local APIC is the model. */
import { lapicRegisterName } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE, registerMsr } from '../../abi/apic/msr.ts';
import type { Operation, StepSeen } from '../../apic/model/operations.ts';
import { apicBaseIn, initialState, type ModelOptions, type ModelState, numberOf } from '../../apic/model/state.ts';
import { step } from '../../apic/model/step.ts';
import { type OwnHistory, type OwnOperation, toldRegisters } from './guest.ts';
import type { Sighting, Told } from './told.ts';

/** Of what may come out in several ways it takes the first, which is what the SDM says where it says one; on AMD that would be a deviation. */
const options: ModelOptions = { vendor: 'intel', forwards: false, hashing: true };

const INIT = 0x4500;
const ICR_MSR = registerMsr('ICR');

/** A machine with one vCPU that is looked at as the guest looks. */
export class ModelMachine {
  state: ModelState = initialState(1);
  #mode: OwnHistory['mode'] = 'xapic';

  do(operation: Operation): { seen: StepSeen; resets: boolean } {
    const { state, seen, started } = step(options, this.state, operation);
    this.state = state;
    return { seen, resets: started.size > 0 };
  }

  /** True if the operation would reset it; nothing is done then. */
  wouldReset(operation: Operation): boolean {
    return step(options, this.state, operation).started.size > 0;
  }

  /** What the guest does between histories. */
  begin(mode: OwnHistory['mode']): Sighting {
    if (this.#mode === 'x2apic') this.do({ do: 'wrmsr', on: 0, msr: ICR_MSR, low: INIT, high: 0 });
    else {
      this.do({ do: 'write', on: 0, register: 'ID', value: 0 });
      this.do({ do: 'write', on: 0, register: 'ICR2', value: 0 });
      this.do({ do: 'write', on: 0, register: 'ICR', value: INIT });
    }
    this.do({ do: 'handlers', on: 0, eoi: true });
    if (mode === 'x2apic') this.do({ do: 'wrmsr', on: 0, msr: IA32_APIC_BASE, low: apicBaseIn(mode, 0), high: 0 });
    this.#mode = mode;
    return this.#look({ handled: [], result: null });
  }

  perform(operation: OwnOperation): Sighting {
    return this.#look(this.do(operation).seen);
  }

  #look({ handled, result }: Pick<StepSeen, 'handled' | 'result'>): Sighting {
    const registers = new Array<number>(64).fill(0);
    for (const number of toldRegisters[this.#mode]) {
      const { result: read } = this.do(
        this.#mode === 'x2apic'
          ? { do: 'rdmsr', on: 0, msr: 0x800 + number }
          : { do: 'read', on: 0, register: lapicRegisterName(number << 4)! },
      ).seen;
      registers[number] = read?.low ?? 0;
      if (this.#mode === 'x2apic' && number === numberOf('ICR')) registers[number + 1] = read?.high ?? 0;
    }
    return { reset: false, handled, result, registers };
  }
}

/** What the model tells of histories. */
export function predict(histories: readonly OwnHistory[]): Told {
  const machine = new ModelMachine();
  return histories.map(({ mode, operations }) => [
    machine.begin(mode),
    ...operations.map((operation) => machine.perform(operation)),
  ]);
}
