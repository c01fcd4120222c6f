/** Replays on a vCPU that is in its guest meanwhile. */
import { setImmediate } from 'node:timers/promises';
import { kvmRegs } from '../../../../abi/kvm/index.ts';
import { flat32, mov32, out8, write32 } from '../../../../guest/bytes.ts';
import { bytesAt } from '../../../../guest/code.ts';
import { CheckError } from '../../../errors.ts';
import { jmpBack, loopHere, wbinvd } from '../../../kit/code.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { isPort, saw } from '../../../kit/drive.ts';
import { DONE_PORT } from '../../../kit/guests.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import { CR8_AT } from './live.ts';
import { describeWrite, isToEveryone, judged, type Pair, told } from './pair.ts';
import { ENTRY, SPARE, type Stand, type StandState, stateOf } from './stand.ts';

/** Where the guest tells that it is there. */
const FLAG = SPARE + 0x800;
const AT = ENTRY + 0x100;
const TOLD = write32(FLAG, 1);
/**
 * `loop $; wbinvd; jmp` back: it is in the guest most of the time, and leaves it now and then for KVM alone, since Bochs stands still
 * in one that never does.
 */
const TURNS = 0x4000;
const ROUND = [mov32('ecx', TURNS), loopHere, wbinvd];
const ROUND_LENGTH = ROUND.reduce((sum, { length }) => sum + length, 0);
const round = flat32(...ROUND, jmpBack(ROUND_LENGTH)).bytes;
const code = flat32(TOLD, round);

/** ms that a vCPU's thread may take to its guest. */
const START = 5000;

/**
 * Makes and replays writes. Those that are refused by EBUSY, since the vCPU runs, the guest does not make either. Throws
 * CheckError if the guest does not run.
 */
export async function inGuest(
  ctx: CheckContext,
  pair: Pair,
  name: string,
  writes: readonly TwinWrite[],
): Promise<void> {
  const { source, memory } = pair.replica;
  memory.write(AT, bytesAt(code, AT));
  memory.write(FLAG, new Uint8Array(4));
  source.setRegs({ rip: BigInt(AT) });
  const before = stateOf(source);
  const exits: string[] = [];
  const run = source.start({ profile: ctx.profile, onExit: ({ name: exit }) => void exits.push(exit) });
  let asked = 0;
  let made = 0;
  try {
    for (const ends = performance.now() + START; memory.read(FLAG, 1)[0] === 0; await setImmediate())
      if (performance.now() > ends || exits.length > 0)
        throw new CheckError(`the vCPU does not come into its guest: ${exits.join(', ') || 'no exit'}`);
    for (const write of writes) {
      // What the series as posted loses, `injection.states.x2` judges.
      if (isToEveryone(write)) continue;
      const what = `${name}, in its guest: ${describeWrite(write)}`;
      const answer = pair.replay(write);
      asked += 1;
      if (answer === 'EBUSY') continue;
      pair.judgeAnswer(what, answer);
      pair.make(what, write);
      made += 1;
    }
  } finally {
    await run.stop();
  }
  ctx.effect('replays on a vCPU in its guest', asked);
  if (made === 0) enter(ctx, pair.live);
  const what = `${name}, after the guest`;
  pair.tell(
    what,
    exits.map((exit) => `the vCPU of the replay has an exit: ${exit}`),
  );
  judgeAll(pair, what, before);
}

/** Where each write was refused the live one has made none: an entry alone may change the TPR, to its class or to what a page has. */
function enter(ctx: CheckContext, { source, memory }: Stand): void {
  memory.write(AT, bytesAt(flat32(TOLD, out8(DONE_PORT)), AT));
  source.setRegs({ rip: BigInt(AT) });
  const exit = saw(ctx, source, source.run({ profile: ctx.profile }));
  if (!isPort(exit, DONE_PORT)) throw new CheckError(`the live guest has an exit: ${exit.name}`);
}

/** Of the vCPU of the replay its own code has changed RIP and RCX. */
function judgeAll(pair: Pair, what: string, before: StandState): void {
  pair.replica.vcpus.forEach((vcpu, place) => {
    const got = judged(stateOf(vcpu));
    const live = judged(stateOf(pair.live.vcpus[place]!));
    const isSource = place === pair.options.source;
    const wanted = isSource
      ? { ...live, regs: ownRegs(before.regs, got.regs), sregs: ownSregs(before.sregs, live.sregs) }
      : live;
    pair.tell(
      what,
      told(got, wanted).map((line) => `vCPU ${vcpu.vcpuId}: ${line}`),
    );
  });
}

/** Both have been in their guests: where KVM takes the TPR from a page, an entry makes it another one. */
function ownSregs(before: Buffer, live: Buffer): Buffer {
  const wanted = Buffer.from(before);
  live.copy(wanted, CR8_AT, CR8_AT, CR8_AT + 8);
  return wanted;
}

const LOOP = AT + TOLD.length;

function ownRegs(before: Buffer, got: Buffer): Buffer {
  const wanted = Buffer.from(before);
  const { rcx, rip } = kvmRegs.fields;
  const at = got.readBigUInt64LE(rip.offset);
  const isThere = at >= BigInt(LOOP) && at < BigInt(LOOP + round.length);
  wanted.writeBigUInt64LE(isThere ? at : BigInt(LOOP), rip.offset);
  got.copy(wanted, rcx.offset, rcx.offset, rcx.offset + 8);
  return wanted;
}
