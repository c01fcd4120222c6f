/** Whatever lies in kvm_run: it decodes, it prints, and nothing that is not understood gets lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fixedV1, pvIpi } from '../../../lib/abi/dsm/fixed-v1.ts';
import { profiles } from '../../../lib/abi/dsm/profiles.ts';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { RUN_UNION_OFFSET } from '../../../lib/abi/kvm/kvm-run.ts';
import type { Layout } from '../../../lib/abi/layout.ts';
import { decodeExit } from '../../../lib/exit/decode.ts';
import type { Exit } from '../../../lib/exit/exit.ts';
import { runIo } from '../../../lib/exit/io.ts';
import { exitToJson } from '../../../lib/exit/json.ts';
import { describeExit } from '../../../lib/exit/text.ts';
import { page, pageWith } from './exit-page.ts';

const unions = fc.uint8Array({ minLength: 256, maxLength: 256 }).map((bytes) => new Uint8Array(bytes));
const reasons = fc.oneof(fc.nat(60), fc.integer({ min: 0, max: 0xffff_ffff }));
const u64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

function everything(exit: Exit): void {
  const text = JSON.stringify(exitToJson(exit));
  assert.equal(JSON.parse(text).name, exit.name);
  assert.ok(describeExit(exit).length > 0);
}

test('any 256 bytes under any reason decode, and what is raw is all of them', () => {
  fc.assert(
    fc.property(reasons, unions, (reason, union) => {
      const view = page(reason, union);
      const before = new Uint8Array(view.buffer.slice(0));
      const exit = decodeExit(view);
      assert.equal(exit.reason, reason);
      if ('raw' in exit) assert.deepEqual(exit.raw, union);
      if (reason > 47) assert.equal(exit.name, 'unrecognized');
      if (exit.name === 'unrecognized') assert.ok('raw' in exit);
      everything(exit);
      assert.deepEqual(new Uint8Array(view.buffer), before, 'decoding leaves kvm_run alone');
    }),
    { numRuns: 2000 },
  );
});

test('a DSM payload is all there: it encodes to the bytes it came from', () => {
  const { KVM_EXIT_DSM_SEND_IRQ: sendIrq, KVM_EXIT_DSM_X2_ICR: x2Icr } = rfcV2.exits;
  fc.assert(
    fc.property(fc.constantFrom(45, 46), unions, (reason, union) => {
      const exit = decodeExit(page(reason, union));
      if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') {
        const { id, val, val2, destId } = exit;
        assert.ok(destId !== null);
        assert.deepEqual(sendIrq.payload.encode({ id, val, val2, destId }), union.slice(0, 16));
      } else {
        assert.equal(exit.name, 'KVM_EXIT_DSM_X2_ICR');
        const again = x2Icr.payload.encode({ id: exit.id, data: exit.data });
        assert.deepEqual(again.slice(0, 4), union.slice(0, 4));
        assert.deepEqual(again.slice(8), union.slice(8, 16));
      }
    }),
  );
});

test('so is the payload of a paravirtual IPI, whatever its type says', () => {
  fc.assert(
    fc.property(unions, (union) => {
      const exit = decodeExit(page(48, union), fixedV1);
      assert.ok(exit.name === 'KVM_EXIT_DSM_PV_IPI');
      const { id, data: icr, type, base, mask } = exit;
      assert.deepEqual(pvIpi.encode({ id, icr, type, base, mask }), union.slice(0, 32));
      everything(exit);
    }),
  );
});

test('KVM_EXIT_IO with any offset and count gives what is inside the mapping', () => {
  const near = fc.integer({ min: -40, max: 40 }).map((distance) => BigInt(8192 + distance));
  const counts = fc.oneof(fc.nat(64), fc.integer({ min: 0, max: 0xffff_ffff }));
  fc.assert(
    fc.property(fc.oneof(u64s, near), fc.nat(255), counts, (dataOffset, size, count) => {
      const view = pageWith(2, runIo, { direction: 1, size, port: 1, count, dataOffset });
      const bytes = new Uint8Array(view.buffer);
      for (let index = 4096; index < 8192; index++) bytes[index] = index * 7;
      const exit = decodeExit(view);
      assert.ok(exit.name === 'KVM_EXIT_IO');
      const start = dataOffset > 8192n ? 8192 : Number(dataOffset);
      assert.deepEqual(exit.data, bytes.slice(start, start + size * count));
      everything(exit);
    }),
    { numRuns: 500 },
  );
});

test('a mapping that ends with the union is enough', () => {
  fc.assert(
    fc.property(reasons, unions, (reason, union) => {
      everything(decodeExit(page(reason, union, RUN_UNION_OFFSET + 256)));
    }),
  );
});

test("each profile's own exits decode by its numbers and layouts, whatever the bytes are", () => {
  const all = [...profiles.values()].flatMap((profile) =>
    Object.entries(profile.exits).map(([name, { reason, payload }]) => ({ profile, name, reason, payload })),
  );
  // What it decodes to has other words than its layout.
  const worded = 'KVM_EXIT_DSM_PV_IPI';
  fc.assert(
    fc.property(fc.nat(all.length - 1), unions, (index, union) => {
      const { profile, name, reason, payload } = all[index]!;
      const exit = decodeExit(page(reason, union), profile);
      assert.equal(exit.name, name);
      const fields = (payload as Layout<Record<string, unknown>>).decode(union);
      const decoded = exit as unknown as Record<string, unknown>;
      if (name !== worded)
        for (const [field, value] of Object.entries(fields)) assert.deepEqual(decoded[field], value, field);
      if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') assert.equal(exit.destId === null, !('destId' in fields));
      everything(exit);
    }),
    { numRuns: 1000 },
  );
});
