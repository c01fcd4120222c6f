/** Histories as a kernel shows them: test/unit/apic/record.ts keeps some, for the tests of the model where there is no KVM. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { histories } from '../../lib/explore/arbitrary.ts';
import { modelOf } from '../../lib/explore/explore.ts';
import { tryHistory } from '../../lib/explore/history.ts';
import { Rig } from '../../lib/explore/rig.ts';
import { Kvm } from '../../lib/kvm/kvm.ts';
import { noKvm } from '../support/host.ts';
import { digestOf, partsAt, type RecordedHistory } from '../support/recorded-history.ts';

const VCPUS = [2, 3];
const COUNT = Number(process.env.KVM_DSM_TEST_HISTORIES ?? 3);
const SEED = Number(process.env.KVM_DSM_TEST_SEED ?? 1);

for (const vcpus of VCPUS)
  test(`${COUNT} histories of ${vcpus} vCPUs, as they are kept: the model says the same`, { skip: noKvm }, (t) => {
    using kvm = Kvm.open();
    using rig = new Rig(kvm, vcpus);
    const options = modelOf(kvm, rig);
    for (const steps of fc.sample(histories(fc, vcpus), { seed: SEED, numRuns: COUNT })) {
      const history: RecordedHistory = { vcpus, options, steps: [] };
      const parting = tryHistory(rig, options, steps, (operation, shown) => {
        const seen = rig.seen.map(({ words, mpState, nmis }) => ({
          page: Array.from({ length: 64 }, (_, register) => words[register * 4]!),
          mpState,
          nmis,
        }));
        const left = shown.left && {
          apicBase: shown.left.IA32_APIC_BASE,
          cr8: shown.left.CR8,
          interrupts: shown.left['RFLAGS.IF'],
        };
        history.steps.push({
          operation,
          left: shown.left?.on ?? null,
          seen: digestOf({ ...shown, vcpus: seen, left }),
        });
      });
      assert.equal(parting, null);
      assert.equal(partsAt(history), -1, JSON.stringify(history.steps.at(partsAt(history))));
      t.diagnostic(`recorded ${JSON.stringify(history)}`);
    }
  });
