#!/bin/bash
#SBATCH --reboot
srun ./program
