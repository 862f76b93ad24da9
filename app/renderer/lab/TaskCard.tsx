import { useTranslation } from 'react-i18next';
import type { Machine } from '../../../shared/contract/machine.ts';
import { Card, Facts } from './parts/Page.tsx';
import { Time } from './parts/Time.tsx';

/** What runs on the machine after a flash, and what became of it. */
export function TaskCard({ machine }: { readonly machine: Machine }) {
  const { t } = useTranslation();
  const { cijoe_task_ref, last_task_status, last_task_run_at } = machine;
  if (cijoe_task_ref === null && last_task_status === null) return null;
  return (
    <Card title={t('lab.task.title')}>
      <Facts
        facts={[
          { name: t('lab.common.name'), value: cijoe_task_ref ?? t('lab.common.none') },
          { name: t('lab.task.state'), value: last_task_status ?? t('lab.common.unknown') },
          { name: t('lab.task.last'), value: <Time at={last_task_run_at} /> },
        ]}
      />
    </Card>
  );
}
