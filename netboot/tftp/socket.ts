/** TFTP's sockets: bound to one interface, and with long datagrams that the kernel cuts into blocks. */

import { failure } from '../../shared/failure.ts';
import { parseAddress } from '../dhcp/address.ts';
import { adopt } from '../dhcp/link.ts';
import { addressBytes } from '../dhcp/option.ts';
import { holderOf } from '../system/holder.ts';
import { closeDescriptor, datagramSocket, isSystemError, setSegment } from '../system/native.ts';
import { longestBlock, type OpenSocket } from './server.ts';

const receiveBuffer = 1 << 20;

/** Opens sockets on `device` (null: any). Failures: PORT_TAKEN, PORT_NOT_ALLOWED. */
export function socketsOn(device: string | null): OpenSocket {
  return async (address, port, segment) => {
    const where = parseAddress(address);
    if (where === null) throw new TypeError(`"${address}" is no IPv4 address`);
    const wanted = { device, address: addressBytes(where), port, shared: false, receiveBuffer };
    let descriptor: number;
    try {
      descriptor = datagramSocket(wanted);
    } catch (error) {
      throw await explained(error, device ?? address, port);
    }
    const cuts = segment !== null && cut(descriptor, segment);
    try {
      return { socket: await adopt(descriptor), segment: cuts, descriptor };
    } catch (error) {
      closeDescriptor(descriptor);
      throw error;
    }
  };
}

function cut(descriptor: number, segment: number): boolean {
  if (segment > longestBlock) return false;
  try {
    setSegment(descriptor, segment);
    return true;
  } catch {
    // An older kernel: one call for each block.
    return false;
  }
}

async function explained(error: unknown, where: string, port: number): Promise<unknown> {
  if (isSystemError(error, 'EADDRINUSE')) {
    const holder = (await holderOf(port)) ?? 'another program';
    return failure('PORT_TAKEN', { protocol: 'TFTP', address: where, port, holder }, error);
  }
  if (isSystemError(error, 'EACCES', 'EPERM')) {
    return failure('PORT_NOT_ALLOWED', { protocol: 'TFTP', port, interface: where }, error);
  }
  return error;
}
