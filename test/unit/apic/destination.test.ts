/**
 * Whom an IPI reaches. Every expected list stands here as the SDM has it (volume 3, "Determining IPI Destination",
 * "Logical Destination Mode in x2APIC Mode"): none is computed.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { IcrCommand } from '../../../lib/abi/apic/icr.ts';
import { decodeLapic, writeLapicRegister } from '../../../lib/abi/apic/lapic.ts';
import { type ApicView, apicView, isForEveryone, isNamed, resolve } from '../../../lib/apic/destination.ts';
import type { Ipi } from '../../../lib/apic/ipi.ts';

const FLAT = 0xffff_ffff;
const CLUSTER = 0x0fff_ffff;

const plain: IcrCommand = {
  vector: 0x40,
  deliveryMode: 'fixed',
  destinationMode: 'physical',
  level: 'assert',
  trigger: 'edge',
  shorthand: 'none',
};
function ipi(destination: number, command: Partial<IcrCommand> = {}, rest: Partial<Ipi> = {}): Ipi {
  return { from: 0, destination, command: { ...plain, ...command }, mode: 'xapic', seq: null, ...rest };
}
const logical = (destination: number, rest: Partial<Ipi> = {}) =>
  ipi(destination, { destinationMode: 'logical' }, rest);
const x2 = { mode: 'x2apic' } as const;

/** In xAPIC mode; the logical id is LDR bits 31:24. */
function xapic(vcpu: number, logicalId: number, dfr = FLAT, rest: Partial<ApicView> = {}): ApicView {
  return { vcpu, apicId: vcpu, mode: 'xapic', ldr: (logicalId << 24) >>> 0, dfr, enabled: true, ...rest };
}
/** In x2APIC mode. There the LDR follows from the id, so that what is given for it counts for nothing. */
function x2apic(vcpu: number, apicId = vcpu): ApicView {
  return { vcpu, apicId, mode: 'x2apic', ldr: 0xdead_beef, dfr: 0, enabled: true };
}

const flat = [xapic(0, 0x01), xapic(1, 0x02), xapic(2, 0x04), xapic(3, 0x08), xapic(4, 0x00)];
/** Two clusters, 1 and 2, of two each; and one of cluster 14 with all four bits. */
const clusters = [
  xapic(0, 0x11, CLUSTER),
  xapic(1, 0x12, CLUSTER),
  xapic(2, 0x21, CLUSTER),
  xapic(3, 0x28, CLUSTER),
  xapic(4, 0xef, CLUSTER),
];
/** Logical ids 0x0000_0001, 0x0000_0002, 0x0000_8000, 0x0001_0001, 0x0002_0004, 0x0010_1000. */
const wide = [x2apic(0, 0), x2apic(1, 1), x2apic(2, 15), x2apic(3, 16), x2apic(4, 34), x2apic(5, 0x10c)];

const cases: [string, Ipi, readonly ApicView[], number[]][] = [
  ['physical', ipi(2), flat, [2]],
  ['physical: nobody has this id', ipi(9), flat, []],
  ['physical: the id is the APIC, not the vCPU', ipi(7), [xapic(0, 1), xapic(1, 2, FLAT, { apicId: 7 })], [1]],
  ['physical, to its own id', ipi(0), flat, [0]],
  ['physical broadcast, itself too', ipi(0xff), flat, [0, 1, 2, 3, 4]],
  ['shorthand self', ipi(3, { shorthand: 'self' }), flat, [0]],
  ['shorthand all including self', ipi(0, { shorthand: 'allIncludingSelf' }), flat, [0, 1, 2, 3, 4]],
  ['shorthand all excluding self', ipi(0, { shorthand: 'allExcludingSelf' }, { from: 2 }), flat, [0, 1, 3, 4]],
  ['a shorthand leaves the destination mode out', ipi(4, { shorthand: 'self', destinationMode: 'logical' }), flat, [0]],

  ['flat: one bit', logical(0x04), flat, [2]],
  ['flat: several bits', logical(0x0b), flat, [0, 1, 3]],
  ['flat: a bit that nobody has', logical(0x40), flat, []],
  ['flat: no bit', logical(0), flat, []],
  ['flat broadcast: also one without a logical id', logical(0xff), flat, [0, 1, 2, 3, 4]],

  ['cluster: one of it', logical(0x12), clusters, [1]],
  ['cluster: two of it', logical(0x13), clusters, [0, 1]],
  ['cluster: all of it', logical(0x2f), clusters, [2, 3]],
  ['cluster: the same members of another one are not meant', logical(0x21), clusters, [2]],
  ['cluster: none of its members', logical(0x20), clusters, []],
  ['cluster: of one that is empty', logical(0x3f), clusters, []],
  ['cluster broadcast', logical(0xff), clusters, [0, 1, 2, 3, 4]],
  ['cluster 14 with all its members', logical(0xe8), clusters, [4]],
  ['a reserved model has no logical id', logical(0x01), [xapic(0, 0x01, 0x4fff_ffff)], []],

  ['x2APIC physical', ipi(16, {}, x2), wide, [3]],
  ['x2APIC physical, an id above 255', ipi(0x10c, {}, x2), wide, [5]],
  ['x2APIC physical: 255 is an id', ipi(0xff, {}, x2), [...wide, x2apic(6, 255)], [6]],
  ['x2APIC broadcast', ipi(0xffff_ffff, {}, x2), wide, [0, 1, 2, 3, 4, 5]],
  ['x2APIC logical broadcast', logical(0xffff_ffff, x2), wide, [0, 1, 2, 3, 4, 5]],
  ['x2APIC cluster 0, one', logical(0x0000_0002, x2), wide, [1]],
  ['x2APIC cluster 0, several bits', logical(0x0000_8003, x2), wide, [0, 1, 2]],
  ['x2APIC cluster 0, all bits', logical(0x0000_ffff, x2), wide, [0, 1, 2]],
  ['x2APIC cluster 1', logical(0x0001_ffff, x2), wide, [3]],
  ['x2APIC cluster 2, the third', logical(0x0002_0004, x2), wide, [4]],
  ['x2APIC cluster 16: ids above 255', logical(0x0010_1000, x2), wide, [5]],
  ['x2APIC: a cluster that nobody is in', logical(0x0003_ffff, x2), wide, []],
  ['x2APIC shorthand all excluding self', ipi(0, { shorthand: 'allExcludingSelf' }, x2), wide, [1, 2, 3, 4, 5]],

  [
    'lowest priority: the candidates',
    ipi(0x06, { deliveryMode: 'lowestPriority', destinationMode: 'logical' }),
    flat,
    [1, 2],
  ],
  ["the host's, physical", ipi(1, {}, { from: 'host' }), flat, [1]],
];

describe('the destination of an IPI', () => {
  for (const [name, one, apics, reached] of cases)
    test(name, () => {
      assert.deepEqual(
        resolve(one, apics).map(({ vcpu }) => vcpu),
        reached,
      );
    });
});

describe('an APIC that is off', () => {
  const off = [xapic(0, 1), xapic(1, 2, FLAT, { enabled: false }), xapic(2, 4, FLAT, { mode: 'disabled' })];
  const reached = (one: Ipi) => resolve(one, off).map(({ vcpu }) => vcpu);
  const broadcast = (deliveryMode: IcrCommand['deliveryMode'], more: Partial<IcrCommand> = {}) =>
    reached(ipi(0xff, { deliveryMode, ...more }));

  test('software-disabled it takes no interrupt, but INIT, SIPI, NMI and SMI', () => {
    assert.deepEqual(broadcast('fixed'), [0]);
    assert.deepEqual(broadcast('lowestPriority'), [0]);
    for (const mode of ['init', 'startUp', 'nmi', 'smi'] as const) assert.deepEqual(broadcast(mode), [0, 1], mode);
  });

  test('INIT level de-assert, and a reserved delivery mode, do nothing', () => {
    assert.deepEqual(broadcast('init', { trigger: 'level', level: 'deassert' }), []);
    assert.deepEqual(broadcast('init', { trigger: 'level', level: 'assert' }), [0, 1]);
    assert.deepEqual(broadcast('reserved3'), []);
    assert.deepEqual(broadcast('reserved7'), []);
  });

  test('it is named all the same', () => {
    assert.deepEqual(reached(ipi(1)), []);
    assert.deepEqual(
      [isNamed(ipi(1), off[1]!), isNamed(ipi(2), off[2]!), isNamed(ipi(1), off[2]!)],
      [true, true, false],
    );
  });
});

describe('the view of an APIC page', () => {
  const page = (registers: Partial<Record<'ID' | 'LDR' | 'DFR' | 'SVR', number>>) => {
    const bytes = new Uint8Array(1024);
    for (const [name, value] of Object.entries(registers)) writeLapicRegister(bytes, name as 'ID', value);
    return decodeLapic(bytes);
  };
  const registers = { ID: 0x0300_0000, LDR: 0x0800_0000, DFR: FLAT, SVR: 0x1ff };

  test('in xAPIC mode', () => {
    assert.deepEqual(apicView(3, page(registers), 0xfee0_0800n), {
      vcpu: 3,
      apicId: 3,
      mode: 'xapic',
      ldr: 0x0800_0000,
      dfr: FLAT,
      enabled: true,
    });
    assert.equal(apicView(3, page({ ...registers, SVR: 0xff }), 0xfee0_0800n).enabled, false);
    assert.equal(apicView(3, page(registers), 0xfee0_0000n).mode, 'disabled');
  });

  test('in x2APIC mode: the id in both formats of KVM_GET_LAPIC, the logical one follows', () => {
    const id = (register: number) => {
      const { apicId, mode, ldr } = apicView(0, page({ ...registers, ID: register, LDR: 0 }), 0xfee0_0d00n);
      return [apicId, mode, ldr];
    };
    assert.deepEqual(id(0x2300_0000), [0x23, 'x2apic', 0x0002_0008]);
    assert.deepEqual(id(0x23), [0x23, 'x2apic', 0x0002_0008]);
    assert.deepEqual(id(0x12f), [0x12f, 'x2apic', 0x0012_8000]);
    assert.deepEqual(id(0), [0, 'x2apic', 0x0000_0001]);
  });
});

test('whatever the ids: an x2APIC is reached by its own logical id, and alone', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 0xf_fffe }), { minLength: 1, maxLength: 30 }), (ids) => {
      const apics = ids.map((apicId, vcpu) => x2apic(vcpu, apicId));
      for (const { vcpu, apicId } of apics) {
        const own = 2 ** (apicId % 16) + Math.floor(apicId / 16) * 0x1_0000;
        assert.deepEqual(
          resolve(logical(own, x2), apics).map((apic) => apic.vcpu),
          [vcpu],
        );
        assert.deepEqual(
          resolve(ipi(apicId, {}, x2), apics).map((apic) => apic.vcpu),
          [vcpu],
        );
      }
    }),
  );
});

test('all excluding self and self are all including self', () => {
  const shorthands = (shorthand: IcrCommand['shorthand'], from: number) =>
    resolve(ipi(0, { shorthand }, { from }), flat).map(({ vcpu }) => vcpu);
  for (const { vcpu } of flat) {
    const parts = [...shorthands('self', vcpu), ...shorthands('allExcludingSelf', vcpu)];
    assert.deepEqual(parts.sort(), shorthands('allIncludingSelf', vcpu));
  }
});

test('an IPI that names its takers one by one is for those, by APIC id or by vCPU, and is no broadcast', () => {
  const apics = [
    { vcpu: 0, apicId: 5 },
    { vcpu: 1, apicId: 0xff },
    { vcpu: 5, apicId: 1 },
  ].map((one): ApicView => ({ ...one, mode: 'xapic', ldr: 0, dfr: FLAT, enabled: true }));
  const named = (by: 'apicId' | 'vcpu', ids: number[]) =>
    resolve(ipi(0xff, {}, { named: { by, ids } }), apics).map(({ vcpu }) => vcpu);
  assert.deepEqual(named('apicId', [5, 1]), [0, 5]);
  assert.deepEqual(named('vcpu', [5, 1]), [1, 5]);
  assert.deepEqual(named('vcpu', []), []);
  assert.equal(isForEveryone(ipi(0xff, {}, { named: { by: 'vcpu', ids: [0] } })), false);
  assert.equal(isForEveryone(ipi(0xff)), true);
  assert.equal(isForEveryone(ipi(0xff, {}, x2)), false);
  assert.equal(isForEveryone(ipi(0xff, { shorthand: 'self' })), false);
  assert.equal(isForEveryone(ipi(0, { shorthand: 'allExcludingSelf' })), true);
});
