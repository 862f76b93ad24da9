import type { InventoryDisk, InventoryNic } from '../../../shared/contract/agent.ts';
import type { Machine } from '../../../shared/contract/machine.ts';
import { DriveIcon } from '../icons.tsx';
import { Button } from '../parts/Button.tsx';
import { Note } from '../parts/Note.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, putAnswer } from './answer.ts';
import { ask } from './api.ts';
import { useInventory } from './BindingForm.tsx';
import { NetworkIcon } from './icons.tsx';
import { Asked } from './parts/Asked.tsx';
import { Empty } from './parts/Empty.tsx';
import { Card, Facts } from './parts/Page.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';

/** What the machine is made of, as it last told; a disk of it is chosen here by its serial number. */
export function InventoryCard({ machine }: { readonly machine: Machine }) {
  const { t, bytes } = useText();
  const { value: found } = useInventory(machine.mac);
  if (found === undefined) return null;
  if (found === null) {
    return (
      <Card title={t('lab.inventory.title')}>
        <Empty title={t('lab.inventory.none')} hint={t('lab.inventory.noneHint')} />
      </Card>
    );
  }
  const { dmi, firmware, cpu, memory_bytes, disks, nics, problems, kernel } = found.inventory;
  const words = (...parts: readonly (string | null)[]) =>
    parts.filter(Boolean).join(' ') || t('lab.common.unknown');
  return (
    <Card title={t('lab.inventory.title')}>
      {problems.length === 0 ? null : (
        <Note kind="warn">
          <ul>
            {problems.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        </Note>
      )}
      <Facts
        facts={[
          { name: t('lab.inventory.product'), value: words(dmi.vendor, dmi.product) },
          { name: t('lab.inventory.serial'), value: dmi.serial ?? t('lab.common.unknown') },
          {
            name: t('lab.inventory.firmware'),
            value: words(
              firmware.kind.toUpperCase(),
              dmi.bios_version,
              firmware.secure_boot === true ? `(${t('lab.inventory.secureBoot')})` : null,
            ),
          },
          {
            name: t('lab.inventory.cpu'),
            value: `${words(cpu.model)}, ${t('lab.inventory.cores', { count: cpu.cores })}, ${t('lab.inventory.threads', { count: cpu.threads })}`,
          },
          { name: t('lab.inventory.memory'), value: bytes(memory_bytes) },
          { name: t('lab.inventory.kernel'), value: kernel },
          { name: t('lab.inventory.taken'), value: <Time at={found.taken_at} /> },
        ]}
      />
      <h3 className="sheet-part">{t('lab.inventory.disks')}</h3>
      {disks.length === 0 ? <p className="quiet">{t('lab.inventory.noDisks')}</p> : null}
      <ul className="parts">
        {disks.map((disk) => (
          <Disk key={disk.path} disk={disk} machine={machine} />
        ))}
      </ul>
      <h3 className="sheet-part">{t('lab.inventory.nics')}</h3>
      <ul className="parts">
        {nics.map((nic) => (
          <Nic key={nic.name} nic={nic} />
        ))}
      </ul>
    </Card>
  );
}

function Disk({ disk, machine }: { readonly disk: InventoryDisk; readonly machine: Machine }) {
  const { t, bytes } = useText();
  const operates = useLab(({ scope }) => scope !== 'read');
  const { path, model, vendor, serial, size_bytes, transport } = disk;
  const isTarget = serial !== null && machine.target_disk_serial === serial;
  const { mac, boot_policy, image_sha256 } = machine;
  const armed = /^flash/.test(boot_policy) && image_sha256 !== null;
  const choose = () =>
    attempt(async () => {
      const body = { target_disk_serial: serial };
      putAnswer(`machine ${mac}`, await ask('PATCH /machines/{mac}', { params: { mac }, body }));
      useLab.getState().say('good', 'lab.common.saved');
    });
  return (
    <li className="part">
      <DriveIcon size={20} />
      <div className="part-words">
        <p>
          <strong>{path}</strong> {bytes(size_bytes)} {transport?.toUpperCase()}
        </p>
        <p className="quiet">{[vendor, model, serial].filter(Boolean).join(' · ')}</p>
        {disk.removable ? <span className="badge">{t('lab.inventory.removable')}</span> : null}
        {disk.readonly ? <span className="badge">{t('lab.inventory.readonly')}</span> : null}
      </div>
      {isTarget ? <span className="badge badge-done">{t('lab.inventory.target')}</span> : null}
      {!isTarget && serial !== null && operates ? (
        <Asked
          title={t('lab.inventory.useTitle', { path, serial })}
          text={t(`lab.inventory.${armed ? 'useArmed' : 'useText'}`)}
          act={t('lab.inventory.useIt')}
          onAct={choose}
        >
          {(open) => (
            <Button look="quiet" onPress={open} aria-label={`${t('lab.inventory.useIt')}: ${path}`}>
              {t('lab.inventory.useIt')}
            </Button>
          )}
        </Asked>
      ) : null}
    </li>
  );
}

function Nic({ nic }: { readonly nic: InventoryNic }) {
  const { t } = useText();
  const { name, mac, driver, speed, link, addresses, booted } = nic;
  return (
    <li className="part">
      <NetworkIcon size={20} />
      <div className="part-words">
        <p>
          <strong>{name}</strong> <span className="mono">{mac}</span>
        </p>
        <p className="quiet">
          {[
            driver,
            link ? (speed === null ? null : t('lab.inventory.speed', { speed })) : t('lab.inventory.noLink'),
            ...addresses,
          ]
            .filter(Boolean)
            .join(' · ')}
        </p>
      </div>
      {booted ? <span className="badge">{t('lab.inventory.booted')}</span> : null}
    </li>
  );
}
