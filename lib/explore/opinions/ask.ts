/** Asks each for its opinion: the ROM on bare emulators, on this host's KVM or in the lab's lanes, and the model. */
import { Kvm } from '../../kvm/kvm.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { profileFor, tellOnStderr } from '../../target/profile.ts';
import type { OpinionName } from './compare.ts';
import { ExploreTextError } from './errors.ts';
import { type OwnHistory, romOf } from './guest.ts';
import { textOfKvm } from './kvm.ts';
import { ENDS } from './machine.ts';
import { predict } from './predict.ts';
import { titles } from './report.ts';
import { readTold, type Told } from './told.ts';

/** Where the ROM is, inside a lane. */
const INSIDE = '/run/kvm-dsm/opinions.rom';

/** What each says of the histories. */
export async function ask(
  names: readonly OpinionName[],
  histories: readonly OwnHistory[],
  options: GlobalOptions,
  signal: AbortSignal,
): Promise<Map<OpinionName, Told>> {
  const rom = romOf(histories);
  const told = new Map<OpinionName, Told>();
  for (const name of names) {
    if (name === 'model') {
      told.set(name, predict(histories));
      continue;
    }
    const text =
      name === 'qemu' || name === 'bochs'
        ? await bare(name, rom, options, signal)
        : await kvm(name, rom, options, signal);
    const one = readTold(text, titles[name]);
    if (one.length !== histories.length)
      throw new ExploreTextError(titles[name], `it told of ${one.length} histories instead of ${histories.length}`, []);
    told.set(name, one);
  }
  return told;
}

async function bare(
  name: 'qemu' | 'bochs',
  rom: Uint8Array,
  options: GlobalOptions,
  signal: AbortSignal,
): Promise<string> {
  const { runBare } = await import('../../lab/index.ts');
  return runBare(name, { rom, until: ENDS, seconds: options.timeout, signal });
}

async function kvm(name: 'vmx' | 'svm', rom: Uint8Array, options: GlobalOptions, signal: AbortSignal): Promise<string> {
  if (options.on === 'host') return textHere(rom, options);
  const { runInLane } = await import('../../target/in-lane.ts');
  const { LineWriter } = await import('../../runner/suite/line-writer.ts');
  const { profile, device, timeout } = options;
  const argv = ['explore', '--opinions', '--rom', INSIDE, '--on', 'host', '--profile', profile, '--device', device];
  let text = '';
  const stdout = new LineWriter((line) => {
    text += `${line}\n`;
  });
  const work = {
    what: 'asking KVM',
    argv: [...argv, '--timeout', `${timeout}`],
    files: [{ path: INSIDE, data: rom }],
  };
  const code = await runInLane(name, work, options, { stdout, signal });
  if (code !== 0) throw new ExploreTextError(titles[name], `its lane ended with ${code}`, text.split('\n').slice(-5));
  return text;
}

/** What this host's KVM says. */
export function textHere(rom: Uint8Array, options: GlobalOptions): string {
  using kvm = Kvm.open(options.device, { profile: profileFor(options, tellOnStderr) });
  return textOfKvm(kvm, rom, options.timeout * 1000);
}

/** Which of both this host's KVM is. */
export function nameHere(options: GlobalOptions): 'vmx' | 'svm' {
  using kvm = Kvm.open(options.device, { profile: profileFor(options, tellOnStderr) });
  // "Genu" of GenuineIntel.
  return kvm.supportedCpuid().find((entry) => entry.function === 0)?.ebx === 0x756e_6547 ? 'vmx' : 'svm';
}
