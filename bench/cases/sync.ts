// KVM_RUN on the calling thread.
import type { Vcpu } from 'kvm-dsm';
import { type Block, type Case, clock } from './case.ts';
import { type Guest, guests } from './guest.ts';
import { makeVm } from './vm.ts';

function entries(guest: Guest, run: (vcpu: Vcpu, count: number) => number): Case['block'] {
  return (count): Block => {
    using made = makeVm();
    const vcpu = made.enter(0, guest, count + 1);
    vcpu.runRaw();
    const stop = clock();
    const sum = run(vcpu, count);
    const block = stop(count);
    // As on the C side: an exit that nobody looked at might not be decoded at all.
    if (!Number.isFinite(sum)) throw new Error(`the exits add up to ${sum}`);
    return block;
  };
}

function runs(deadline?: string) {
  const options = deadline ? { deadline: deadline as '1s' } : undefined;
  return (vcpu: Vcpu, count: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const exit = vcpu.run(options);
      if (exit.name === 'KVM_EXIT_IO') sum += exit.port + exit.data[0]!;
      else if (exit.name === 'KVM_EXIT_MMIO') sum += exit.data[0]!;
      else if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') sum += exit.val;
      else throw new Error(`an exit that the guest does not make: ${exit.name}`);
    }
    return sum;
  };
}

function raw(deadline?: '1s') {
  return (vcpu: Vcpu, count: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      if (vcpu.runRaw(deadline).kind !== 'exit') throw new Error('no exit');
      sum += vcpu.kvmRun.getUint16(34, true);
    }
    return sum;
  };
}

export const syncCases: Case[] = [
  { name: 'run-pio', unit: 'exit', count: 10_000, aim: 1.5, block: entries(guests.pio, runs()) },
  { name: 'run-mmio', unit: 'exit', count: 10_000, aim: 1.5, block: entries(guests.mmio, runs()) },
  { name: 'run-dsm', unit: 'exit', count: 10_000, needs: 'series', aim: 1.5, block: entries(guests.dsm, runs()) },
  { name: 'run-raw', unit: 'exit', count: 10_000, aim: 1.15, block: entries(guests.pio, raw()) },
  { name: 'run-raw-deadline', unit: 'exit', count: 10_000, aim: 1.2, block: entries(guests.pio, raw('1s')) },
  { name: 'run-deadline', unit: 'exit', count: 10_000, aim: 1.5, block: entries(guests.pio, runs('1s')) },
];
