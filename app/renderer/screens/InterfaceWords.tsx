import type { NetworkInterface } from '../../../shared/desktop/interface.ts';
import { WarnIcon } from '../icons.tsx';
import { useText } from '../parts/useText.ts';

/** Whether machines can be answered there now, or as soon as its cable is plugged in. */
export function usable({ up, address }: NetworkInterface): boolean {
  return up && address !== null;
}

/** One network interface in words: what it is, whether it is connected, and who else gives out addresses there. */
export function InterfaceWords({ network }: { readonly network: NetworkInterface }) {
  const { t } = useText();
  const { address, link, up, speed, servers, router } = network;
  const state = !up
    ? t('appliance.down')
    : !link
      ? t('appliance.noLink')
      : speed === null
        ? t('appliance.link')
        : t('appliance.speed', { speed });
  const dhcp =
    servers === null
      ? router === null
        ? t('appliance.dhcp.unknown')
        : t('appliance.dhcp.likely', { router })
      : servers.length > 0
        ? t('appliance.dhcp.found', { servers: servers.join(', ') })
        : t('appliance.dhcp.none');
  const obstacle = !up ? 'down' : address === null ? 'address' : null;
  return (
    <span className="disk-words">
      <span className="disk-line">
        <span className="disk-name">{network.name}</span>
        <span className="badge">{t(`appliance.kinds.${network.kind}`)}</span>
        <span className="disk-size">
          {address === null ? '' : t('appliance.address', { ip: address.ip, prefix: address.prefix })}
        </span>
      </span>
      <span className="disk-place">
        {[address === null ? t('appliance.noAddress') : null, state, network.mac].filter(Boolean).join(' · ')}
      </span>
      {obstacle === null && link ? <span className="disk-contents">{dhcp}</span> : null}
      {obstacle === null ? null : (
        <span className="disk-reason">
          <WarnIcon size={14} />
          <span>{t(`appliance.obstacles.${obstacle}`)}</span>
        </span>
      )}
    </span>
  );
}
