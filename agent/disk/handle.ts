/** An opened disk: what the engine needs of a block device, a virtual disk file, or a faulty disk in a test. */
export interface DiskHandle {
  /** As shown to people, for example `/dev/sdb`. */
  readonly path: string;
  /** Size in bytes when it was opened. */
  readonly size: number;
  /** Logical block size in bytes: positions and lengths of reads and writes are multiples of it. */
  readonly blockSize: number;
  /** True when reads and writes bypass the page cache (O_DIRECT). */
  readonly direct: boolean;
  /**
   * Writes `from` at `position`; resolves the bytes stored, fewer than asked on a short write. Rejects with the
   * system's error (`code` EIO, ENOSPC ...). `from` lies page aligned.
   */
  write(from: Uint8Array, position: number): Promise<number>;
  /** Reads into the page-aligned `into`; resolves the count, 0 at the end of the disk. */
  read(into: Uint8Array, position: number): Promise<number>;
  /**
   * Makes a range read as zeros without transferring data, where the kernel guarantees the result
   * (fallocate(2) PUNCH_HOLE on a block device never falls back and never lies). False: not supported here.
   */
  zero(position: number, length: number): Promise<boolean>;
  /** fsync(2): resolves when the medium has everything, rejects with the system's error. */
  flush(): Promise<void>;
  /** Forgets cached data so that reads come from the medium (needed only where `direct` is false). */
  dropCache(): Promise<void>;
  /** Size in bytes now: 0 or a rejection when the disk went away. */
  currentSize(): Promise<number>;
  /**
   * Asks the kernel to read the partition table again; false when it refused because a partition is in use or the
   * right to ask lacks. True also where there is nothing to read again (files, loop devices without partitions).
   */
  rereadPartitions(): Promise<boolean>;
  /** Gives up the exclusive hold and the lock; further calls do nothing more. */
  close(): Promise<void>;
}
