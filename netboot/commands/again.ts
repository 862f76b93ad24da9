/** An appliance that may wish to be started anew in the same process. */
import type { Appliance, ApplianceOptions } from '../appliance.ts';
import type { Config } from '../config/settings.ts';
import { handedSockets } from '../system/handed.ts';

export class Again {
  #config: Config;
  #wish: (() => void) | null = null;
  /** Resolves when the appliance that runs wishes to be started anew. */
  wished: Promise<'again'> = new Promise(() => {});
  /** Sockets that systemd opened are closed with the appliance: only systemd can give them again, after an end that failed. */
  readonly leavesToSystem = handedSockets(process.env, process.pid).size > 0;

  constructor(config: Config) {
    this.#config = config;
  }

  async start(startAppliance: (options: ApplianceOptions) => Promise<Appliance>): Promise<Appliance> {
    this.wished = new Promise((resolve) => {
      this.#wish = () => resolve('again');
    });
    const appliance = await startAppliance({ config: this.#config, onStartAnew: () => this.#wish?.() });
    this.#config = withPorts(this.#config, appliance);
    return appliance;
  }
}

/** `config` with the ports that the system chose, so that the next one is found where this one was. */
function withPorts(config: Config, { listening }: Appliance): Config {
  const [web, boot] = listening.filter(({ secure }) => !secure).map(({ port }) => port);
  const tls = listening.find(({ secure }) => secure)?.port;
  return {
    ...config,
    webPort: web ?? config.webPort,
    bootPort: boot ?? config.bootPort,
    tlsPort: tls ?? config.tlsPort,
  };
}
