// Calls of a vCPU or a VM that is out of the guest.
import { machine } from 'kvm-dsm';
import { type Block, type Case, clock } from './case.ts';
import { guests } from './guest.ts';
import { makeVm } from './vm.ts';

function getRegs(count: number): Block {
  using made = makeVm();
  const vcpu = made.enter(0, guests.pio, 1);
  vcpu.getRegs();
  const stop = clock();
  let sum = 0n;
  for (let i = 0; i < count; i++) sum += vcpu.getRegs().rip;
  const block = stop(count);
  if (sum === 0n) throw new Error('RIP is 0');
  return block;
}

const msi = { addressLo: 0xfee0_0000, data: 0x40 };

function signalMsi(count: number): Block {
  using made = makeVm();
  const { vm } = made;
  const stop = clock();
  for (let i = 0; i < count; i++) vm.signalMsi(msi);
  return stop(count);
}

async function machineSignalMsi(count: number): Promise<Block> {
  await using made = await machine();
  const stop = clock();
  for (let i = 0; i < count; i++) made.signalMsi(msi);
  return stop(count);
}

/** A pair of writes, as a guest makes them: ICR2, then ICR. */
function dsmIpi(options: { insist?: boolean }): Case['block'] {
  return (count): Block => {
    using made = makeVm();
    const { vm } = made;
    const icr2 = { vcpuId: 0, val: 0x310, val2: 0 };
    const icr = { vcpuId: 0, val: 0x300, val2: 0x4040 };
    const stop = clock();
    for (let i = 0; i < count; i++) {
      vm.dsmIpi(icr2, options);
      vm.dsmIpi(icr, options);
    }
    return stop(count);
  };
}

export const callCases: Case[] = [
  { name: 'get-regs', unit: 'call', count: 10_000, aim: 1.5, block: getRegs },
  { name: 'signal-msi', unit: 'call', count: 10_000, aim: 1.3, block: signalMsi },
  { name: 'machine-signal-msi', unit: 'call', count: 10_000, aim: 1.3, block: machineSignalMsi },
  { name: 'dsm-ipi', unit: 'pair', count: 5000, needs: 'series', aim: 3, block: dsmIpi({}) },
  { name: 'dsm-ipi-insist', unit: 'pair', count: 5000, needs: 'series', block: dsmIpi({ insist: true }) },
];
