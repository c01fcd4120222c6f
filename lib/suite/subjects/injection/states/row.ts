/** What a row of the table of states is. */
import type { Stand } from './stand.ts';

/** A state of the vCPU that is replayed on, or of all. */
export interface SceneState {
  name: string;
  /** No guest can write in it: the guest that is compared with does without it. */
  frozen?: boolean;
  /** Its guest's entry makes another TPR. */
  ownTpr?: boolean;
  set(stand: Stand): void;
}
