import type { Unpacker } from './unpacker.ts';
import { xzChild } from './xzchild.ts';
import { xzLibrary } from './xzlibrary.ts';
import { findXz } from './xztool.ts';

export interface XzOptions {
  /** Absolute path of xz(1); null never runs it. Looked up on this machine unless given. */
  readonly tool?: string | null;
}

/** xz (.xz file format 1.2.1): any number of streams and blocks, stream padding; all checks are verified. */
export function xzUnpacker(image: string, options: XzOptions = {}): Unpacker {
  const tool = options.tool === undefined ? findXz() : options.tool;
  return tool === null ? xzLibrary(image) : xzChild(tool, image);
}
