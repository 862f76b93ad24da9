import { DescriptorDisk, type DescriptorFacts } from '../disk/descriptor.ts';

export interface KeeperCalls {
  /** Has the keeper read the partition table again; false when the kernel refused, or the keeper is gone. */
  readonly reread: () => Promise<boolean>;
  /** Tells the keeper that the disk is no longer needed. */
  readonly closed: () => void;
}

/**
 * A disk whose descriptor the keeper opened and shares. BLKRRPART asks for CAP_SYS_ADMIN of whoever calls it, whatever
 * the descriptor, so that is the keeper's; and the disk is free only when both have closed it.
 */
export class KeptDisk extends DescriptorDisk {
  readonly #keeper: KeeperCalls;
  #told = false;

  constructor(facts: DescriptorFacts, keeper: KeeperCalls) {
    super(facts);
    this.#keeper = keeper;
  }

  override rereadPartitions(): Promise<boolean> {
    return this.#keeper.reread();
  }

  override async close(): Promise<void> {
    await super.close();
    if (this.#told) return;
    this.#told = true;
    this.#keeper.closed();
  }
}
