/** The sender's code. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { DONE_PORT, type LapicWrite } from '../../kit/guests.ts';
import { out, storeByte } from './code.ts';
import { CODE_SIZE } from './layout.ts';
import type { Piece, Scene } from './scene.ts';

/** Where the sender's APIC page is for its code. */
export const apicOf = ({ mode, apicBase }: Scene) => mode.apic + (apicBase === null ? 0 : Number(apicBase) - mode.apic);

/** The guest's code, of which the first writes are the prelude; `behind`: where each write's instruction ends. */
export function assemble(
  scene: Scene,
  writes: readonly LapicWrite[],
  prelude: number,
): { code: Uint8Array; behind: number[] } {
  const { mode, form } = scene;
  const code: number[] = [];
  const behind: number[] = [];
  const add = (pieces: readonly Piece[]) => {
    for (const piece of pieces) code.push(...piece(mode));
  };
  add(scene.before);
  writes.forEach(({ register, value }, at) => {
    if (at > prelude) add(scene.between);
    const { joint } = scene;
    if (!joint || at < prelude) {
      add(scene.each);
      code.push(...form.code(mode, apicOf(scene) + lapicRegisters[register], value));
    } else if (at === prelude) {
      add(scene.each);
      code.push(...joint.code(mode, apicOf(scene), [writes[at]!, writes[at + 1]!]));
    }
    behind.push(code.length);
  });
  code.push(...(mode.noPorts ? storeByte(mode, mode.device, DONE_PORT) : out(DONE_PORT)));
  if (code.length > CODE_SIZE) throw new RangeError(`${code.length} bytes of code`);
  return { code: Uint8Array.from(code), behind };
}
