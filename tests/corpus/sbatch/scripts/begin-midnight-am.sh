#!/bin/bash
#SBATCH -b 12:30am
srun ./program
