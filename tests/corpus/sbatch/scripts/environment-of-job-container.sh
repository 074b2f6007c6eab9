#!/bin/bash
#SBATCH --container=/images/bundle
srun ./program
